"""What a row of changes says: the words in the column ``change``."""

from __future__ import annotations

ADDED, REMOVED = "added", "removed"
# Of a row that was modified there are two rows.
BEFORE, AFTER = "modified_before", "modified_after"
CHANGES = (ADDED, BEFORE, AFTER, REMOVED)
