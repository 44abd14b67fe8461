// Unpacks the Chromium that @sparticuz/chromium carries: node unpack-chromium.mjs FOLDER
// FOLDER/chromium is the program; FOLDER/*.tar hold the shared libraries it needs, for the caller to unpack.
import { createReadStream, createWriteStream, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { createBrotliDecompress } from "node:zlib";

const folder = process.argv[2];
const packed = join(dirname(fileURLToPath(import.meta.url)), "node_modules/@sparticuz/chromium/bin");
mkdirSync(folder, { recursive: true });
for (const [name, mode] of [["chromium", 0o755], ["al2023.tar", 0o644], ["swiftshader.tar", 0o644]]) {
  const unpacked = createWriteStream(join(folder, name), { mode });
  await pipeline(createReadStream(join(packed, `${name}.br`)), createBrotliDecompress(), unpacked);
}
