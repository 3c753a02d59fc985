-- Which transaction wrote a receipt, so that a reader can ask for those that have been committed since it last looked (ADR-0026).
-- Ids and times are given before a commit and say nothing of its order; a snapshot knows every transaction that had ended.
-- Receipts from before have none: nobody asks for them again.
ALTER TABLE trustpack.receipts ADD COLUMN transaction_id xid8;
ALTER TABLE trustpack.receipts ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id();

-- Holds none of the rows that are there, so it is made by one scan.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX receipts_by_transaction ON trustpack.receipts (transaction_id) WHERE transaction_id IS NOT NULL;

-- One look for all tenants, by the login that finds things of every tenant; it learns that something changed, and not what.
CREATE POLICY system_reads ON trustpack.receipts FOR SELECT TO trustpack_system USING (true);
GRANT SELECT (tenant_id, subject_id, subject_kind, transaction_id) ON trustpack.receipts TO trustpack_system;
