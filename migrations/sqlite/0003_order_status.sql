-- How many orders have each status is asked at every start: of the index alone.

CREATE INDEX orders_of_status ON orders (status);
