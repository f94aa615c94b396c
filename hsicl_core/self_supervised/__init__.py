"""Label-free objectives that are not a mined contrastive loss, one file each, and the loop that trains them."""
