"""What a job tells, shown on a terminal."""

from lexnet.cli.printing import choices_table, epoch_line, found_table
from lexnet.cli.progress import Bars
from lexnet.job.events import Choices, Event, Found, Judged, Listener, Note, Progress, Warned


def listener(bars: Bars) -> Listener:
    """Shows each event: progress as a bar, all else as lines above it."""

    def listen(event: Event) -> None:
        if isinstance(event, Progress):
            bars.update(event.step, event.done, event.total)
        elif isinstance(event, Found):
            bars.print(found_table(event.manifest))
        elif isinstance(event, Choices):
            bars.print(choices_table(event))
        elif isinstance(event, Judged):
            if line := epoch_line(event):
                bars.print(line)
        elif isinstance(event, Note):
            bars.print(f"· {event.text}")
        elif isinstance(event, Warned):
            bars.print(f"warning: {event.text}")

    return listen
