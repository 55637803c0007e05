#!/usr/bin/env python3
"""Starts moto (an independent EC2, SSM and STS) for the tests and ends with them.

Prints the URL on the first line of stdout and serves until stdin closes or the parent dies. What it changes in moto
stands in README.md beside it; what moto does not do stands there too.
"""

import logging
import os
import sys
import threading
import time

# This file's name would hide the package of the same name.
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder or ".") != HERE]

# Read by moto when it is imported: launching an unknown image, type or key fails as on AWS.
os.environ["MOTO_ENABLE_AMI_VALIDATION"] = "1"
os.environ["MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION"] = "1"
os.environ["MOTO_ENABLE_KEYPAIR_VALIDATION"] = "1"

from werkzeug.serving import make_server  # noqa: E402

from moto.core.responses import EmptyResult  # noqa: E402
from moto.ec2.models.core import TaggedEC2Resource  # noqa: E402
from moto.ec2.responses.monitoring import Monitoring  # noqa: E402
from moto.moto_server.werkzeug_app import (  # noqa: E402
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)


def tags_of(self):
    """Looks the tags up by id. moto matches the id against every tag of every object, which makes a list of N
    objects cost N squared."""
    tags = self.ec2_backend.tags.get(self.id, {}) if self.id else {}
    return [
        {"resource_id": self.id, "key": key, "value": value, "resource_type": ""}
        for key, value in tags.items()
    ]


def monitoring(state):
    """Detailed monitoring on or off: moto has the attribute and shows it, but not the calls that change it."""

    def answer(self):
        self.error_on_dryrun()
        for instance in self.ec2_backend.get_multi_instances_by_id(self._get_param("InstanceIds", [])):
            instance.monitoring_state = state
        return EmptyResult()

    return answer


class OneAtATime:
    """A lock around moto, so that what a call checks still holds when it writes. (One thread alone would hang on
    the first idle connection.)"""

    def __init__(self, app):
        self.app = app
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        with self.lock:
            return list(self.app(environ, start_response))


def end_with_stdin():
    while os.read(0, 4096):
        pass
    os._exit(0)


def end_with_parent(parent):
    # Not prctl(PR_SET_PDEATHSIG): that fires when the thread that started us ends, and a test is a thread.
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


def main():
    threading.Thread(target=end_with_stdin, daemon=True).start()
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()

    TaggedEC2Resource.get_tags = tags_of
    Monitoring.monitor_instances = monitoring("enabled")
    Monitoring.unmonitor_instances = monitoring("disabled")

    # Every request would be a line on stderr.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    # moto calls itself under this port for some of its answers.
    os.environ["MOTO_PORT"] = str(server.port)
    print(f"http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
