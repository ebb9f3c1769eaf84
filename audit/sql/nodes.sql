-- The nodes of a proof, by coordinate; leaves are nodes of level 0.
SELECT n.level, n.node_index, n.hash
FROM unnest(%(levels)s::smallint[], %(indexes)s::bigint[]) AS wanted(level, node_index)
JOIN audit_nodes n ON n.level = wanted.level AND n.node_index = wanted.node_index
UNION ALL
SELECT 0, l.leaf_index, l.hash
FROM unnest(%(levels)s::smallint[], %(indexes)s::bigint[]) AS wanted(level, node_index)
JOIN audit_leaves l ON wanted.level = 0 AND l.leaf_index = wanted.node_index
