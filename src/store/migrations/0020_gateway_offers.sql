-- The applications that hosts with a link to a gateway can be given, as JSON: the others have them started there.
ALTER TABLE gateways ADD COLUMN offers TEXT NOT NULL DEFAULT '[]';
