# SPDX-License-Identifier: Apache-2.0
"""One runtime in a process of its own, stopped whenever it is not its turn.

Threads that wait by spinning would take time from whoever is measured next; SIGSTOP between turns
makes sure of it, whatever a runtime does.
"""
import os
import select
import signal
import subprocess

PATIENCE_S = 300  # for one answer, unless told otherwise


class Failed(Exception):
    """Why a runtime does not run a model, in one line."""


class Contender:
    def __init__(self, command, log, patience_s=PATIENCE_S):
        self.log, self.patience_s = log, patience_s
        with open(log, "wb") as errors:
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=errors)
        self.rest = b""
        try:
            host, create, first = self.answer("ready")
        except Failed:
            self.close()
            raise
        self.host_ns, self.create_ns, self.first_ns = int(host), int(create), int(first)
        self.stop()

    def stop(self):
        """Returns when no thread of it runs any more."""
        self.child.send_signal(signal.SIGSTOP)
        if self.child.returncode is None:
            os.waitid(os.P_PID, self.child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def ask(self, text, word):
        """One turn: the process works until it has answered."""
        self.child.send_signal(signal.SIGCONT)
        try:
            self.child.stdin.write(text.encode() + b"\n")
            self.child.stdin.flush()
            return self.answer(word)
        except BrokenPipeError:
            raise Failed(self.died()) from None
        finally:
            self.stop()

    def answer(self, word):
        words = self.line().split()
        if words[:1] != [word]:
            raise Failed(" ".join(words[1:] if words[:1] == ["error"] else words) or self.died())
        return words[1:]

    def line(self):
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.child.stdout], [], [], self.patience_s)
            if not ready:
                raise Failed(f"no answer for {self.patience_s} s")
            data = os.read(self.child.stdout.fileno(), 1 << 16)
            if not data:
                return ""
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode(errors="replace")

    def died(self):
        status = self.child.wait()
        with open(self.log, encoding="utf-8", errors="replace") as errors:
            last = [line.strip() for line in errors if line.strip()][-1:]
        return f"ended with {status}: {' '.join(last)[:300]}"

    def run(self, count):
        """Nanoseconds of each of count runs."""
        return [int(word) for word in self.ask(f"run {count}", "ns")]

    def stats(self):
        return {key: int(number) for key, number in
                (word.split("=") for word in self.ask("stats", "stats"))}

    def outputs(self, folder):
        """How many outputs were written as 0.npy, ... into the folder."""
        os.makedirs(folder, exist_ok=True)
        return int(self.ask(f"outputs {folder}", "outputs")[0])

    def close(self):
        self.child.kill()  # it has nothing to lose, and may be stopped
        self.child.wait()
        self.child.stdout.close()
        try:
            self.child.stdin.close()
        except BrokenPipeError:
            pass  # a question that it died before reading
