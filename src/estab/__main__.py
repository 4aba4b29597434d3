"""`python -m estab`."""

from estab.cli.main import run

if __name__ == "__main__":
    run()
