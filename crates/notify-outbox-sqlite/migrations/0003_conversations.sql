-- Conversations that go on: what went before is handed on, and a success may go by itself. Lanes that
-- are paused by themselves.

ALTER TABLE notify_delivery ADD COLUMN alone INTEGER NOT NULL DEFAULT 0;   -- a close that finds nothing open goes by itself
ALTER TABLE notify_lane ADD COLUMN paused TEXT;                            -- why, while the lane alone is paused
