"""SpamAssassin: stops unwanted mail by the sum of many small signs."""
