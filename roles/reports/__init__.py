"""The daily report: stops what raises no alert, since it grows slowly: nobody would look at figures that come to nobody."""
