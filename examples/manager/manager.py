#!/usr/bin/env python3
"""A small building manager: keeps the sites of a database in a pptp-connector, and tells what happens to them.

The database is a JSON file, {"b17": {"server": …, "user": …, "password": …}, …}, read anew each time. Only Python's
standard library is needed.

    manager.py --socket /run/pptp-connector/control.sock buildings.json
    manager.py --port 127.0.0.1:9090 --token-file token buildings.json
"""

import argparse
import http.client
import json
import socket
import sys
import threading
import time


class Refused(Exception):
    """The daemon has refused a request; `problem` says why"""

    def __init__(self, status, problem):
        super().__init__(problem.get("detail", f"status {status}"))
        self.status, self.problem = status, problem


class Daemon:
    """The control interface of a pptp-connector"""

    def __init__(self, arguments):
        self.socket, self.port = arguments.socket, arguments.port
        self.headers = {"Host": "localhost"}
        if arguments.token_file:
            with open(arguments.token_file, encoding="utf-8") as file:
                self.headers["Authorization"] = f"Bearer {file.read().strip()}"

    def open(self, method, path, body=None, headers=None, timeout=300):
        """Asks, and returns the answer before its body has come"""
        connection = http.client.HTTPConnection(self.port or "localhost", timeout=timeout)
        if self.socket:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(timeout)
            connection.sock.connect(self.socket)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, self.headers | (headers or {}))
        answer = connection.getresponse()
        if answer.status >= 400:
            raise Refused(answer.status, json.loads(answer.read() or b"{}"))
        return answer

    def ask(self, method, path, body=None, headers=None):
        """Asks, and returns the object of the answer"""
        return json.loads(self.open(method, path, body, headers).read())

    def sites(self):
        """Returns all sites, page by page, with the version of the set and the latest event before the first page"""
        page = self.ask("GET", "/v1/sites")
        version, as_of, sites = page["version"], page["as_of"], page["sites"]
        while page["next"]:
            page = self.ask("GET", f"/v1/sites?after={page['next']}")
            sites += page["sites"]
        return version, as_of, sites

    def events(self, since):
        """Yields events as they come; the stream has a comment each 15 seconds, so silence is a broken connection"""
        for line in self.open("GET", f"/v1/events?since={since}", timeout=40):
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def reconcile(daemon, database):
    """Makes the daemon's sites those of the database; what is equal is not touched"""
    with open(database, encoding="utf-8") as file:
        wanted = json.load(file)
    version = daemon.ask("GET", "/v1/sites?limit=1")["version"]
    changed = daemon.ask("PUT", "/v1/sites", {"sites": wanted}, {"If-Match": f'"{version}"'})
    counts = {what: len(changed["changes"][what]) for what in ("added", "changed", "redialled", "removed")}
    print("reconciled:", ", ".join(f"{count} {what}" for what, count in counts.items()), flush=True)


def keep(daemon, arguments):
    """Reconciles again and again, in a thread of its own"""
    while True:
        try:
            reconcile(daemon, arguments.database)
        except (Refused, OSError, ValueError, http.client.HTTPException) as error:
            print(f"not reconciled: {error}", file=sys.stderr, flush=True)
            for problem in getattr(error, "problem", {}).get("errors", []):
                print(f"  {problem['pointer']}: {problem['message']}", file=sys.stderr, flush=True)
        time.sleep(arguments.interval)


def watch(daemon):
    """Lists the sites, and then follows what happens to them; begins anew after a gap"""
    _, as_of, sites = daemon.sites()
    states = {site["name"]: site["state"] for site in sites}
    print(f"{list(states.values()).count('up')} of {len(states)} sites are up", flush=True)
    for event in daemon.events(as_of):
        if event["kind"] == "gap":
            return
        name = event["site"] or "daemon"
        print(f"{event['time']} {name} {event['kind']}: {event['detail']}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", help="a unix socket of the control interface")
    parser.add_argument("--port", help="a port of it: host:port")
    parser.add_argument("--token-file", help="the token for the port")
    parser.add_argument("--interval", type=float, default=60, help="the seconds from one reconciliation to the next")
    parser.add_argument("database")
    arguments = parser.parse_args()
    daemon = Daemon(arguments)
    threading.Thread(target=keep, args=(daemon, arguments), daemon=True).start()
    while True:
        try:
            watch(daemon)
        except (Refused, OSError, http.client.HTTPException) as error:
            print(f"not connected: {error}", file=sys.stderr, flush=True)
        time.sleep(1)


if __name__ == "__main__":
    main()
