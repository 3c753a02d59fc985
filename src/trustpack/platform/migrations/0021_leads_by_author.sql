-- The opportunities that somebody brought in, in the order of their own ids, as the list of opportunities walks along them: without
-- it every lead of theirs is read and sorted for one page.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX leads_by_author_and_opportunity ON trustpack.leads (tenant_id, created_by, opportunity_id);
