"""The group of commands, and the handling of errors."""

from __future__ import annotations

import sys

import click

from tbx_keras._version import __version__
from tbx_keras.cli.demo import demo
from tbx_keras.cli.missing_packages import hint
from tbx_keras.cli.view import view
from tbx_keras.errors import TbxError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tbx-keras")
def commands() -> None:
    """See inside a Keras model while it trains."""


commands.add_command(demo)
commands.add_command(view)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line.

    Args:
        arguments: Words after the program's name; those of the process if None.

    Raises:
        SystemExit: Always: 0 after success, 2 after bad input, 130 after an interrupt. Ctrl-C is how `view`
            ends: 0, once TensorBoard runs.
    """
    try:
        sys.exit(commands.main(arguments, prog_name="tbx-keras", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        _stop(error.format_message())
    except TbxError as error:
        _stop(str(error))
    except ModuleNotFoundError as error:
        _stop(hint(str(error.name), _command(sys.argv[1:] if arguments is None else arguments)))
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


def _command(arguments: list[str]) -> str:
    """Find the innermost command that was called."""
    named = [one for one in arguments if one in (*commands.commands, *demo.commands)]
    return named[1] if named[:1] == ["demo"] and named[1:2] == ["imdb"] else "".join(named[:1])


def _stop(message: str) -> None:
    click.echo(f"tbx-keras: {' '.join(message.split())}", err=True)
    sys.exit(2)
