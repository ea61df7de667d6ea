-- What a receiver answered may quote whom the event was about: sealed as the event is (sealing.py), `answer` is empty then.
ALTER TABLE attempts ADD COLUMN sealed TEXT NOT NULL DEFAULT '';
