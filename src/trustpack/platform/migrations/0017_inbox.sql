-- What waits for people is a small part of all there is, whatever the store has seen: these indexes hold nothing else.
-- A partial index over what is pending is made in milliseconds.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX high_risk_requests_waiting ON trustpack.high_risk_requests (tenant_id, approval_expires_at, id)
  WHERE status = 'pending_approval';
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX quotes_waiting ON trustpack.quotes (tenant_id, approval_expires_at, id) WHERE status = 'pending_approval';

-- What somebody asked for or offers themselves, as long as it is not over.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX high_risk_requests_open ON trustpack.high_risk_requests (tenant_id, requester_id, id)
  WHERE status IN ('pending_approval', 'approved', 'executing', 'active', 'reverting', 'revert_failed');
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX quotes_open ON trustpack.quotes (tenant_id, owner_id, id) WHERE status IN ('draft', 'pending_approval', 'approved');
