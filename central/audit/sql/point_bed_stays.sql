-- Stays of a place whose treatment may come to the bed, where no door sees anybody.
SELECT * FROM point_stays WHERE to_the_bed = 1
