"""OSV.dev: the open database of vulnerabilities in packages. https://osv.dev"""
