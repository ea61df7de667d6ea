"""What the fork server has in memory before it makes a host, so that hosts share it and start in a few hundredths.

That is all Python code a host needs, but not neonize's shared library: Go does not survive a fork. With SPHINX set,
neonize leaves its library out; afterwards those of its modules that would use it are forgotten again, so that a host
imports them anew, with it. The generated protobuf code, by far the largest part, stays.
"""

import gc
import os
import sys

# Before neonize's magic: see wa_neonize.py.
import pylibmagic  # noqa: F401

os.environ["SPHINX"] = "1"
import neonize.proto.waE2E.WAWebProtobufsE2E_pb2  # type: ignore[import-untyped]  # noqa: F401

import chatbot_erp.actors.host_main
import chatbot_erp.actors.wa_socket  # noqa: F401

del os.environ["SPHINX"]
# neonize began a thread for its log; what forks should have one thread only.
sys.modules["neonize.utils.log"]._log_queue.put(None)
sys.modules["neonize.utils.log"]._thread.join()
for name in [name for name in sys.modules if name.partition(".")[0] == "neonize" and ".proto" not in name]:
    del sys.modules[name]
# Without this the first garbage collection of a host would write to, and so copy, every page.
gc.collect()
gc.freeze()
