"""What the demo does while it looks on."""

import contextlib
import subprocess

from rehearsal import demo


class Scene:
    """One whose first question HTCondor leaves without an answer, and which is over with the second."""

    def __init__(self):
        self.looks = 0
        self.is_over = False

    def shown_on(self, console):
        return contextlib.nullcontext(lambda: None)

    def look(self):
        self.looks += 1
        if self.looks == 1:
            raise subprocess.CalledProcessError(1, ["condor_q", "-json"], "", "AUTHENTICATE:1005")
        self.is_over = True
        return ["all 28 jobs are done"]


def test_a_question_without_an_answer_is_told_and_asked_again():
    said = []
    assert demo.watch(Scene(), None, said.append)
    assert said == ["condor_q got no answer, and is asked again", "all 28 jobs are done"]
