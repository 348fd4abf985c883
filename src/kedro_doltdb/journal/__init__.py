"""What ran: the journal's tables, and what they tell. It knows nothing of Kedro."""
