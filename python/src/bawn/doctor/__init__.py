"""`bawn doctor`: the chain walked hop by hop, up to the first that fails, with what is wrong and the mend."""
