"""A yes, before anything is rented, changed or ended."""

import sys


def agreed(question: str, *, yes: bool) -> bool:
    """Whether the answer is yes, by option or by hand."""
    if yes:
        return True
    print(f"{question} [y/N] ", end="", flush=True)
    answer = sys.stdin.readline()
    if not answer:
        print("nobody answers, which is no; -yes doesn't ask", file=sys.stderr)
    return answer.strip().lower() in {"y", "yes"}
