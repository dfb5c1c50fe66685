"""Brain tumour MRI (figshare 1512427): contrast-enhanced T1 slices with tumour masks, from MATLAB files."""
