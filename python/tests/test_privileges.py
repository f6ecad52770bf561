"""Which rights a worker keeps."""

import os
import sys
import unittest
from unittest import mock

from indrik import privileges
from indrik.privileges import PrivilegesError


def settings(uid=None, gid=None, **more):
    return mock.Mock(uid=uid, gid=gid, get=more.get)


class NoNewPrivileges(unittest.TestCase):
    def test_when(self):
        for wanted, changes, platform, limited in [
            (None, True, "linux", True),
            (None, False, "linux", False),
            (None, True, "darwin", False),
            (True, False, "linux", True),
            (True, False, "darwin", True),
            (False, True, "linux", False),
        ]:
            cfg = settings(worker_no_new_privs=wanted)
            with self.subTest(wanted=wanted, changes=changes), mock.patch.object(sys, "platform", platform):
                self.assertIs(privileges.are_limited(cfg, changes), limited)

    def test_where_it_cannot_be_had(self):
        elsewhere = mock.patch.object(sys, "platform", "darwin")
        with elsewhere, self.assertRaisesRegex(PrivilegesError, "^only Linux can do that$"):
            privileges.prepare()
        lacking = mock.patch.object(privileges.stdlib, "load", side_effect=ImportError("no _ctypes"))
        with mock.patch.object(sys, "platform", "linux"), lacking:
            with self.assertRaisesRegex(PrivilegesError, "^the module ctypes is missing: no _ctypes$"):
                privileges.prepare()
        with mock.patch.object(privileges, "prepare", return_value=lambda *args: -1):
            with self.assertRaisesRegex(PrivilegesError, "^the kernel refuses it$"):
                privileges.limit()

    @unittest.skipUnless(sys.platform == "linux", "needs prctl(2)")
    def test_flag(self):
        pid = os.fork()
        if pid == 0:
            try:
                privileges.limit()
                with open("/proc/self/status") as f:
                    os._exit(0 if "NoNewPrivs:\t1\n" in f.read() else 2)
            finally:
                os._exit(3)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)


class User(unittest.TestCase):
    """Which calls are made, in which order, by a process of some user."""

    def calls(self, cfg, uid=0, gid=0, user=None):
        system = mock.Mock()
        names = ("setgid", "setgroups", "initgroups", "setuid")
        patched = {name: getattr(system, name) for name in names}
        pwd = mock.Mock()
        pwd.getpwuid.side_effect = KeyError if user is None else None
        pwd.getpwuid.return_value.pw_name = user
        with mock.patch.multiple(os, geteuid=lambda: uid, getegid=lambda: gid, **patched), mock.patch.object(
            privileges, "limit", system.limit
        ), mock.patch.object(privileges.stdlib, "load", return_value=pwd), mock.patch.object(sys, "platform", "linux"):
            privileges.become(cfg)
        return [(name, *args) for name, args, _ in system.mock_calls]

    def test_of_root(self):
        self.assertEqual(self.calls(settings(5, 6)), [("setgid", 6), ("setgroups", []), ("setuid", 5), ("limit",)])

    def test_the_same_user(self):
        self.assertEqual(self.calls(settings()), [])
        self.assertEqual(self.calls(settings(0, 0)), [])
        self.assertEqual(self.calls(settings(5, 6), uid=5, gid=6), [])
        self.assertEqual(self.calls(settings(worker_no_new_privs=True)), [("limit",)])

    def test_group_alone(self):
        self.assertEqual(self.calls(settings(gid=6)), [("setgid", 6)])

    def test_groups_of_the_user(self):
        cfg = settings(5, 6, initgroups=True)
        self.assertEqual(
            self.calls(cfg, user="web"), [("setgid", 6), ("initgroups", "web", 6), ("setuid", 5), ("limit",)]
        )
        cfg = settings(5, initgroups=True)
        self.assertEqual(self.calls(cfg, gid=9, user="web")[0], ("initgroups", "web", 9))

    def test_number_without_a_name(self):
        cfg = settings(5, 6, initgroups=True)
        self.assertEqual(self.calls(cfg), [("setgid", 6), ("setuid", 5), ("limit",)])

    def test_of_who_is_not_root(self):
        """setgroups is root's alone; the kernel says what it thinks of the rest."""
        self.assertEqual(self.calls(settings(6), uid=5), [("setuid", 6), ("limit",)])

    def test_rights_that_are_wanted(self):
        cfg = settings(5, worker_no_new_privs=False)
        self.assertEqual(self.calls(cfg), [("setgroups", []), ("setuid", 5)])
