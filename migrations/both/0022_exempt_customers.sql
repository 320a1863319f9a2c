-- Why a customer pays no tax; NULL of one who does, as of all before this.
ALTER TABLE customers ADD COLUMN exempt text;
