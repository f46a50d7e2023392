static int set_entry(struct info *i, struct entry *here)
{
	int inside = i->inside;
	struct node *old_node = NULL;
	size_t old_size, new_size;
	int ret;

	ret = prepare(i);
	if (ret)
		goto out;

	if (here->number) {
		ret = node_get(here->number,
			       &old_node);
		if (ret)
			goto out;
	}

	move_value(i, here);
	ret = 0;
out:
	put_node(old_node);
	return ret;
}

int last(void)
{
	return 0;
}

int more(void)
{
	return 2;
}

int end(void)
{
	return 3;
}
