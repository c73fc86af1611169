"""Write down what is said in sound files: a program of its own, since torch rounds differently once a Whisper is loaded beside it.

`verify.audio.whisper` copies it into an empty folder and starts it there. It imports nothing of this project, whose
modules would stand before those of the standard library, and it writes its answer to a file.
"""

import json
import sys
from pathlib import Path
from typing import Any


def hear(job: dict[str, Any]) -> dict[str, Any]:
    """Return the transcript of each file of samples at 16 kHz, or why the model cannot be loaded."""
    import numpy as np
    from faster_whisper import WhisperModel

    try:
        model = WhisperModel(job["model"], device="cpu", compute_type="int8", local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        return {"error": str(error)}
    transcripts = []
    for file in job["sounds"]:
        parts, _ = model.transcribe(
            np.load(file), language=job["language"], beam_size=5, condition_on_previous_text=False
        )
        transcripts.append(" ".join(part.text.strip() for part in parts))
    return {"transcripts": transcripts}


def main(folder: Path) -> None:
    """Do the job of the folder and leave the answer there."""
    answer = hear(json.loads((folder / "job.json").read_text(encoding="utf-8")))
    (folder / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
