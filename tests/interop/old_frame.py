"""A frame of bars, and how it is told. The old client's Python runs it, so it imports nothing of this project."""

import json
import sys


def told(frame):
    """All of a frame, as JSON can hold it."""
    return {
        "columns": list(frame.columns),
        "kinds": [str(kind) for kind in frame.dtypes],
        "index": [frame.index.name, str(frame.index.dtype), str(frame.index.tz)],
        "times": [str(time) for time in frame.index],
        "rows": frame.to_numpy().tolist(),
    }


if __name__ == "__main__":
    from mizar import Mizar
    from mizar.studio import MizarStudio

    key, host, folder = sys.argv[1:]
    studio = MizarStudio(Mizar(key, scheme="http", host=host), folder)
    print(json.dumps(told(studio.get_bar_df("BTC", "USDT", bar_subclass="1min"))))
