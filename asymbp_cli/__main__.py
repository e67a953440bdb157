from asymbp_cli.cli.app import main

main()
