-- What was done with an access: its counts. The statements themselves are disclosures of the receipt that ends it (ADR-0015).
ALTER TABLE trustpack.grants ADD COLUMN access_record bytea;
