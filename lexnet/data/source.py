"""What the word DATA on a command line stands for."""

from pathlib import Path

from lexnet.data.samples import SAMPLES, sample_folder
from lexnet.errors import DataError
from lexnet.files import display


def find_data(data: str) -> Path:
    """The folder that a path or a sample set's name stands for; a folder of that name wins."""
    path = Path(data)
    if path.is_dir():
        if (shown := display(path.absolute())) != str(path.absolute()):
            raise DataError(f"{shown} is not written in UTF-8; rename the folder")
        return path
    if data in SAMPLES:
        return sample_folder(data)
    if path.exists():
        raise DataError(f"{data} is a file; give a folder with one folder for each class")
    raise DataError(f"there is no folder {data}; give one, or a sample set: {', '.join(SAMPLES)}")
