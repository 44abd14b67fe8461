"""How fast it is, in ratios that hold on other machines: ``make bench``, ``make bench-growth``, ``make bench-soak``."""
