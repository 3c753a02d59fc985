-- Policy decisions: every answer of a policy engine, failures included, as it was given (stories 1.7, 3.3).

CREATE TABLE trustpack.policy_decisions (
    tenant_id          text        NOT NULL,
    id                 text        NOT NULL,
    subject_id         text        NOT NULL,
    subject_version    bigint      NOT NULL,
    package            text        NOT NULL,
    mode               text        NOT NULL,
    allowed            boolean     NOT NULL,
    outcome            text        NOT NULL,
    reasons            bytea       NOT NULL,
    required_approvals text[]      NOT NULL,
    self_approvable    text[]      NOT NULL,
    input              bytea       NOT NULL,
    input_digest       text        NOT NULL,
    result             bytea,
    bundle_revision    text        NOT NULL,
    policy_digest      text        NOT NULL,
    parameters_digest  text        NOT NULL,
    schema_digest      text        NOT NULL,
    engine_name        text        NOT NULL,
    engine_version     text        NOT NULL,
    duration_us        bigint      NOT NULL,
    decided_at         timestamptz NOT NULL,
    CONSTRAINT policy_decisions_pkey PRIMARY KEY (tenant_id, id),
    -- So that what was decided about one subject can allow nothing about another.
    CONSTRAINT policy_decisions_of_subject UNIQUE (tenant_id, subject_id, id),
    CONSTRAINT policy_decisions_subject_version_check CHECK (subject_version >= 0),
    CONSTRAINT policy_decisions_mode_check CHECK (mode IN ('enforce', 'preview', 'replay')),
    -- Fail closed in the storage too: no failure can be written down as an allow.
    CONSTRAINT policy_decisions_outcome_check CHECK (
        CASE outcome WHEN 'allowed' THEN allowed WHEN 'denied' THEN NOT allowed ELSE outcome LIKE 'policy.%' AND NOT allowed END
    ),
    CONSTRAINT policy_decisions_answer_check CHECK (outcome NOT IN ('allowed', 'denied') OR result IS NOT NULL),
    CONSTRAINT policy_decisions_input_digest_check CHECK (input_digest = 'sha256:' || encode(sha256(input), 'hex')),
    CONSTRAINT policy_decisions_duration_us_check CHECK (duration_us >= 0)
);

COMMENT ON TABLE trustpack.policy_decisions IS
    'One row per answer of a policy engine. reasons, input and result are canonical JSON (RFC 8785), exactly as hashed.';

CREATE INDEX policy_decisions_subject_idx ON trustpack.policy_decisions (tenant_id, subject_id, decided_at);

SELECT trustpack.protect_tenant_table('policy_decisions');
SELECT trustpack.make_append_only('policy_decisions');
