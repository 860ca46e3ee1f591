"""The version, which is also that of the newest entry of CHANGELOG.md."""

__version__ = "0.1.0"
