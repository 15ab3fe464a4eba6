"""Run by `cargo xt test capi`: TEU_LIBRARY names the library, TEU_TEST_BUNDLE a bundle with /guest, TEU_TEST_ROOT a state root."""

import os
import pathlib
import re
import select
import signal
import threading
import time
import unittest

import teu

BUNDLE, ROOT = os.environ["TEU_TEST_BUNDLE"], os.environ["TEU_TEST_ROOT"]


def config(*args):
    return {"ociVersion": "1.3.0", "root": {"path": "rootfs"}, "process": {"cwd": "/", "args": ["/guest", *args]},
            "linux": {"cgroupsPath": f"/teu-python-{os.getpid()}/c", "namespaces": [{"type": "pid"}, {"type": "mount"}]}}


class Life(unittest.TestCase):
    def setUp(self):
        self.context = teu.Context(ROOT)
        self.addCleanup(self.context.close)

    def test_a_container_from_creation_to_removal(self):
        reader, writer = os.pipe()
        with self.context.create("life", BUNDLE, config("say", "hello"), stdio={1: writer}) as container:
            os.close(writer)
            self.assertEqual(container.state().status, teu.CREATED)
            self.assertEqual([id for id, _ in self.context.list()], ["life"])
            container.start()
            self.assertEqual(os.read(reader, 100), b"hello")
            self.assertEqual(container.wait().status, 0)
            container.delete()
        os.close(reader)

    def test_a_further_process_and_signals(self):
        with self.context.create("more", BUNDLE, config("sleep")) as container:
            container.start()
            container.update({"pids": {"limit": 50}})
            self.assertEqual(container.stats()["pids_limit"], 50)
            with container.exec(["/guest", "exit", "9"]) as process:
                self.assertEqual(process.wait().code, 9)
            self.assertEqual(container.pids(), [container.state().pid])
            container.pause()
            self.assertEqual(container.state().status, teu.PAUSED)
            container.resume()
            container.kill(signal.SIGKILL)
            self.assertEqual(container.wait().signal, signal.SIGKILL)
            container.delete()

    def test_events_and_mounts(self):
        mounts = [{"destination": "/python", "type": "tmpfs", "source": "tmpfs"}]
        with self.context.create("events", BUNDLE, config("sleep")) as container, container.events() as events:
            container.start()
            self.assertIsNone(events.next())
            with self.assertRaises(teu.Error) as caught:
                events.wait(timeout=0.001)
            self.assertEqual(caught.exception.code, teu.ETIMEDOUT)
            container.add_mounts(mounts)
            with container.exec(["/guest", "mkdir", "/python/x"]) as process:
                self.assertEqual(process.wait().code, 0)
            container.remove_mounts(mounts)
            with container.exec(["/guest", "is", "/python/x"]) as process:
                self.assertEqual(process.wait().code, 1)
            container.kill(signal.SIGKILL)
            self.assertTrue(select.select([events], [], [], 60)[0])
            while events.wait(timeout=60).type != teu.EV_EXIT:
                pass
            container.delete()

    def test_a_bundle_by_descriptor(self):
        bundle = os.open(BUNDLE, os.O_RDONLY)
        self.assertEqual(self.context.run("fd", bundle, config("exit", "4")).code, 4)
        os.close(bundle)

    def test_a_failure_is_an_exception_with_its_place(self):
        with self.assertRaises(teu.Error) as caught:
            self.context.create("bad", BUNDLE, {**config("x"), "hostname": "a\0b"})
        self.assertEqual((caught.exception.code, caught.exception.pointer), (teu.ESPEC, "/hostname"))
        self.assertEqual(caught.exception.phase, "spec")

    def test_another_thread_ends_a_wait(self):
        cancel = teu.Cancel()
        with self.context.create("cancel", BUNDLE, config("sleep")) as container:
            container.start()
            threading.Timer(0.05, cancel.trigger).start()
            with self.assertRaises(teu.Error) as caught:
                container.wait(cancel=cancel)
            self.assertEqual(caught.exception.code, teu.ECANCELED)
            container.delete(force=True)

    def test_documents(self):
        teu.validate(teu.spec())
        self.assertEqual(teu.features()["ociVersionMax"], "1.3.0")
        self.assertIn("exec", self.context.plan("plan", BUNDLE, config("exit", "0")))


class Whole(unittest.TestCase):
    def test_every_function_of_the_header_is_bound(self):
        here = pathlib.Path(__file__).resolve().parent
        header = (here / "../../include/teu.h").read_text()
        source = (here / "teu/__init__.py").read_text()
        functions = set(re.findall(r"^\w[^#/\n]*?\bteu_(\w+)\(", header, re.M))
        self.assertGreater(len(functions), 60)
        missing = [name for name in sorted(functions) if not re.search(rf"\b(teu_)?{name}\b", source)]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
