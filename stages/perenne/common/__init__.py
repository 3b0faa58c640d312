"""What every stage stands on: errors, params, contract, periods, files and the model file."""
