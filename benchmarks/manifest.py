"""How long a large listing takes: a million rows of Parquet that give each picture's sha256, without and with
groups and weights, none of them read; and a folder of 100,000 files.

python benchmarks/manifest.py [--quick]
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import Benchmark, arguments, timed

from lexnet.data.samples import sample_folder

ROWS, FILES = 1_000_000, 100_000
options = arguments(__doc__)
benchmark = Benchmark("manifest")
MAKE = """
import hashlib, sys
import pyarrow as pa, pyarrow.parquet as pq
rows = range(int(sys.argv[2]))
names = [f"pictures/class-{i % 1000:03}/{i:07}.jpg" for i in rows]
columns = {
    "path": names,
    "label": [f"class-{i % 1000:03}" for i in rows],
    "split": [("train", "train", "train", "val", "test")[i % 5] for i in rows],
    "sha256": [hashlib.sha256(name.encode()).hexdigest() for name in names],
}
if len(sys.argv) > 3:
    columns |= {"group": [f"group-{i // 4}" for i in rows], "weight": [1 + i % 7 / 7 for i in rows]}
pq.write_table(pa.table(columns), sys.argv[1])
"""  # by itself, for a process counts the memory of the one that started it
LIST = (
    "import sys; from pathlib import Path; from lexnet.data.table import list_table; "
    "print(len(list_table(Path(sys.argv[1]))))"
)
READ = "import sys; from lexnet.data.source import read_data; print(len(read_data(sys.argv[1])))"

with tempfile.TemporaryDirectory() as temporary:
    for more in ((), ("with groups and weights",)):
        table = Path(temporary, "rows.parquet")
        subprocess.run([sys.executable, "-c", MAKE, str(table), str(ROWS), *more], check=True)
        runs = [timed(sys.executable, "-c", LIST, str(table)) for _ in range(2 if options.quick else 5)]
        assert all(int(out) == ROWS for _, _, out in runs)
        what = ", ".join(("a million rows of Parquet", *more))
        benchmark.add(f"{what}, start-up included", [s for s, _, _ in runs], "s", ("<=", 10))
        benchmark.add(f"{what}, peak memory", [1e3 * peak for _, peak, _ in runs], "MB", ("<=", 600))
    pictures = sorted(sample_folder("clipart").glob("*/*.png"))
    folder = Path(temporary, "folder")
    for i in range(FILES):
        place = folder / f"class-{i % 100:02}"
        if i < 100:
            place.mkdir(parents=True)
        shutil.copyfile(pictures[i % len(pictures)], place / f"{i:06}.png")
    runs = [timed(sys.executable, "-c", READ, str(folder)) for _ in range(2 if options.quick else 5)]
    assert all(int(out) == FILES for _, _, out in runs)
    benchmark.add("a folder of 100,000 files, read and digested", [s for s, _, _ in runs], "s", ("<=", 10))
benchmark.finish()
