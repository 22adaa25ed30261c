"""The data: `prepare.py` makes the files, `loader.py` checks and loads them."""
