"""An activity with a database."""

import sqlite3
import threading

from temporalio import activity


class Ledger:
    """Payments in a database."""

    def __init__(self, file: str) -> None:
        self.lock = threading.Lock()
        self.database = sqlite3.connect(file, check_same_thread=False)
        self.database.execute("CREATE TABLE IF NOT EXISTS payments (id PRIMARY KEY, amount)")

    @activity.defn
    def record(self, payment: str, amount: float) -> float:
        """Record a payment; returns the total. Temporal may call it twice: the id counts once."""
        with self.lock, self.database:
            self.database.execute("INSERT OR IGNORE INTO payments VALUES (?, ?)", (payment, amount))
            return float(self.database.execute("SELECT sum(amount) FROM payments").fetchone()[0])

    def close(self) -> None:
        self.database.close()
