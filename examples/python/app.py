"""Counts visits in an SQLite file. Standard library only."""

import os
import sqlite3
from pathlib import Path
from wsgiref.simple_server import make_server

DATABASE = Path(os.environ["DATA_DIR"]) / "visits.db"


def count_visit() -> int:
    """Adds one visit and returns how many there have been."""
    with sqlite3.connect(DATABASE) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY, total INTEGER NOT NULL)"
        )
        (total,) = database.execute(
            "INSERT INTO visits VALUES (1, 1)"
            " ON CONFLICT (id) DO UPDATE SET total = total + 1 RETURNING total"
        ).fetchone()
    return total


def app(environ, start_response):
    """The WSGI application: `/` counts, anything else is not found."""
    if environ["PATH_INFO"] != "/":
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"not found\n"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"visit {count_visit()}\n".encode()]


if __name__ == "__main__":
    with make_server("127.0.0.1", int(os.environ["PORT"]), app) as server:
        server.serve_forever()
