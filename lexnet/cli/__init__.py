"""The command line. A verb's module is imported when the verb is called, so that help is instant."""

import io
import os
import sys
import warnings
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from lexnet import __version__
from lexnet.cli.say import say
from lexnet.errors import LexNetError, MissingExtra, ParityError, did_you_mean
from lexnet.files import display

VERBS = {
    "check": "look pictures over before anything is trained on them",
    "train": "train a classifier on a folder of labelled pictures",
    "augment": "show how pictures are changed for training",
    "predict": "label pictures with a bundle",
    "val": "score a bundle on labelled pictures",
    "verify": "check a bundle's digests, graph and golden pictures",
    "nets": "list the nets that can be built",
    "show": "show a net layer by layer, or what a bundle is",
    "weights": "published weights: ls, fetch, verify",
    "case": "case studies: experiments on what the lectures claim, with verdicts",
    "cache": "what is kept on disk: ls, verify, prune",
    "samples": "the built-in sample sets: ls, fetch",
}
OTHERS = {
    "fit": "train",
    "test": "val",
    "eval": "val",
    "evaluate": "val",
    "classify": "predict",
    "info": "show",
}
"""What the verbs are called elsewhere."""
FAILED, BAD_INPUT, INTERRUPTED, UNHEARD = 1, 2, 130, 141


class Verbs(click.Group):
    """A group whose verbs are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"lexnet.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in VERBS and not args[0].startswith("-"):
            near = [OTHERS[args[0]]] if args[0] in OTHERS else get_close_matches(args[0], VERBS, n=1)
            hint = did_you_mean(near) if args[0] != "export" else " (unzip model.onnx from a bundle)"
            raise click.UsageError(f"no verb named {args[0]!r}{hint}; there are {', '.join(VERBS)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still unwritten
            return UNHEARD

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lexnet", message="%(prog)s %(version)s")
def cli() -> None:
    """A folder of labelled pictures in, a small, verified, portable image classifier out.

    Try it: lexnet train clipart
    """


def main() -> None:
    """Runs the command line; exits with 0 (ok), 1 (a check failed), 2 (bad usage or bad input)."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed by whoever started this
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  open as long as we run
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # else a file on Windows would be in a code page
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")  # we say so of each, by name
    try:
        code = cli(standalone_mode=False)
    except ParityError as error:
        code = _complain(str(error), FAILED)
    except LexNetError as error:
        code = _complain(str(error), BAD_INPUT)
    except OSError as error:
        what = (
            f"{display(error.filename)} cannot be used" if error.filename else "the operating system failed"
        )
        code = _complain(f"{what} ({error.strerror or error}); fix it and try again", BAD_INPUT)
    except MemoryError:
        code = _complain("memory ran out; give fewer --workers, or make the pictures smaller", BAD_INPUT)
    except ModuleNotFoundError as error:
        if str(error.name).startswith("lexnet"):
            raise
        code = _complain(str(MissingExtra(str(error.name))), BAD_INPUT)
    except click.ClickException as error:
        error.show()
        code = BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        again = ", and the same command goes on with what was kept" if sys.argv[1:2] == ["train"] else ""
        code = _complain(f"stopped; nothing is half written{again}", INTERRUPTED)
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        code = _complain("the system allows no more threads or memory; give fewer --workers", BAD_INPUT)
    sys.exit(code)


def _complain(message: str, code: int) -> int:
    say(f"lexnet: {message}", err=True)
    return code
