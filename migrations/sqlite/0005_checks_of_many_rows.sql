-- Nothing changes here: this store's plans do not depend on how large a table is. The number keeps step with the other store's.
SELECT 1;
