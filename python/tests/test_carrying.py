"""Attributes of the server that outlive a spawner."""

import json
import threading
import unittest

from indrik import carrying, view


class Refuses:
    def __reduce__(self):
        raise ValueError("not me")


class Vanishes:
    """Can be packed, and not unpacked."""

    def __reduce__(self):
        return int, ("x",)


class Carrying(unittest.TestCase):
    def carried(self, **attributes):
        first, second = view.Server(), view.Server()
        vars(first).update(attributes)
        packed, lost = carrying.pack(first)
        json.dumps(packed)
        late = carrying.unpack(second, packed)
        self.assertFalse(set(lost) & set(late))
        return {n: v for n, v in vars(second).items() if n not in second._own}, {**lost, **late}

    def test_values(self):
        kept = {
            "started": 1.5,
            "ids": {1, 2},
            "name": "\udc80",
            "none": None,
            "_private": [b"x"],
            "nested": {"a": (1,)},
        }
        self.assertEqual(self.carried(**kept), (kept, {}))
        self.assertEqual(self.carried(), ({}, {}))

    def test_what_cannot_be_carried(self):
        kept, lost = self.carried(
            lock=threading.Lock(),
            local=lambda: None,
            refuses=Refuses(),
            vanishes=Vanishes(),
            large="x" * carrying.MAX_SIZE,
            small=1,
        )
        self.assertEqual(kept, {"small": 1})
        self.assertEqual(sorted(lost), ["large", "local", "lock", "refuses", "vanishes"])
        self.assertEqual(lost["refuses"], "not me")
        self.assertIn("there is room for", lost["large"])

    def test_what_is_the_masters_is_not_carried(self):
        server = view.Server()
        server.update({"pid": 1, "num_workers": 3, "proc_name": "x", "address": ["unix:/x"]})
        server.WORKERS[1] = server.cfg = server.log = object()
        self.assertEqual(carrying.pack(server), ({}, {}))
