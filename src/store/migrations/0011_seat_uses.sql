-- When a badge last opened something at the seat. 0: never.
ALTER TABLE seats ADD COLUMN used_at BIGINT NOT NULL DEFAULT 0;
