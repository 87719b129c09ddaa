"""The assessment for people and programs: text, JSON, HTML."""
