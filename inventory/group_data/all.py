"""What holds for every host: no command may hang a deploy for ever (seconds)."""

_timeout = 600
