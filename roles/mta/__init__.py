"""The mail transfer agent: stops relaying for strangers, malformed dialogues, and disclosure of what runs here."""
